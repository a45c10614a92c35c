-- delete: removes a value, and its key from the index.
-- KEYS[1]   the value
-- KEYS[2]   the index of keys
-- KEYS[3]   the call that stored the value last
-- ARGV[1]   key
-- Reply     {"DELETED"}, also when there was nothing

local value, index, storer = KEYS[1], KEYS[2], KEYS[3]

redis.call("DEL", value, storer)
redis.call("ZREM", index, ARGV[1])
return { "DELETED" }

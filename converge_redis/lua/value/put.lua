-- put: stores a value, and its key in the index.
-- KEYS[1]   the value
-- KEYS[2]   the index of keys
-- ARGV[1]   key
-- ARGV[2]   value (msgpack)
-- Reply     {"STORED"}

local value, index = KEYS[1], KEYS[2]

redis.call("SET", value, ARGV[2])
redis.call("ZADD", index, 0, ARGV[1])
return { "STORED" }

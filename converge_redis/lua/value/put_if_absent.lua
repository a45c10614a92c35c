-- put_if_absent: stores a value where there is none.
-- KEYS[1]   the value
-- KEYS[2]   the index of keys
-- KEYS[3]   the call that stored the value last, for an hour: a lost reply can be asked for again
-- ARGV[1]   key
-- ARGV[2]   value (msgpack)
-- ARGV[3]   call id
-- Reply     {"STORED"}: by this call, now or before | {"PRESENT"}

local value, index, storer = KEYS[1], KEYS[2], KEYS[3]

if redis.call("EXISTS", value) == 1 then
  return { redis.call("GET", storer) == ARGV[3] and "STORED" or "PRESENT" }
end
redis.call("SET", value, ARGV[2])
redis.call("ZADD", index, 0, ARGV[1])
redis.call("SET", storer, ARGV[3], "EX", 3600)
return { "STORED" }

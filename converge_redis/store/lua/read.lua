-- read: Read values and the remaining lifetime of each.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[…]   keys
-- Reply     {"OK", stored value or nil, milliseconds left or -1: does not expire, …}
--@include store/values

local reply = { "OK" }
for i, key in ipairs(ARGV) do
  reply[2 * i] = redis.call("GET", values .. key)
  reply[2 * i + 1] = redis.call("PTTL", values .. key)
end
return reply

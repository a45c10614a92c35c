-- read: reads values, with the time that each has left.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[…]   keys
-- Reply     {"OK", stored or nil, milliseconds left or -1, …}
--@include store/values

local reply = { "OK" }
for i, key in ipairs(ARGV) do
  reply[2 * i] = redis.call("GET", values .. key)
  reply[2 * i + 1] = redis.call("PTTL", values .. key)
end
return reply

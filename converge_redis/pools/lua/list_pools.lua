-- list_pools: reads the ids of the pools, a page at a time.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   the place after which to begin: "-", or "(" and an id
-- ARGV[2]   the most ids to read
-- Reply     {"MORE" or "DONE", id, …}, in the order of their bytes
--@include pools/pools

local after, most = ARGV[1], tonumber(ARGV[2])
local reply = { "DONE" }
for i, id in ipairs(redis.call("ZRANGEBYLEX", pools, after, "+", "LIMIT", 0, most)) do
  reply[i + 1] = id
end
if #reply > most then
  reply[1] = "MORE"
end
return reply

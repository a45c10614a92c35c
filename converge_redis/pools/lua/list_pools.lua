-- list_pools: List a page of the pools, in the order of the bytes of their ids.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   start: "(" and the last id of the previous page, or "-"
-- ARGV[2]   the most ids to list
-- Reply     {"MORE" or "DONE", id, …}
--@include pools/pools

local start, limit = ARGV[1], tonumber(ARGV[2])
local reply = { "DONE" }
for i, id in ipairs(redis.call("ZRANGEBYLEX", pools, start, "+", "LIMIT", 0, limit)) do
  reply[i + 1] = id
end
if #reply > limit then
  reply[1] = "MORE"
end
return reply

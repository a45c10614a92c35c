-- get_pools_for_agent: List a page of the pools of an agent, in the order of joining.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   agent id
-- ARGV[2]   position of the last entry of the previous page, or "-inf"
-- ARGV[3]   the most entries to read
-- Reply     {"MORE" or "DONE", position of the last entry read, pool id, …}
--@include pools/pools

local agent, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local index = memberships .. agent
local page = redis.call("ZRANGEBYSCORE", index, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit)
local reply = { #page == 2 * limit and "MORE" or "DONE", after }
for i = 1, #page, 2 do
  reply[2] = int(tonumber(page[i + 1]))
  -- The memberships of a deleted pool are removed in batches.
  if redis.call("EXISTS", records .. page[i]) == 1 then
    reply[#reply + 1] = page[i]
  end
end
return reply

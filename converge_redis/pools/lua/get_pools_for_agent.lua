-- get_pools_for_agent: reads the pools of an agent in the order of joining, a page at a time.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   agent id
-- ARGV[2]   the place after which to begin, or "-inf"
-- ARGV[3]   the most entries to look at
-- Reply     {"MORE" or "DONE", place of the last entry looked at, pool id, …}
--@include pools/pools

local agent, after, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = memberships .. agent
local page = redis.call("ZRANGEBYSCORE", key, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
local reply = { #page == 2 * most and "MORE" or "DONE", after }
for i = 1, #page, 2 do
  reply[2] = int(tonumber(page[i + 1]))
  -- The memberships of a deleted pool are cleared away little by little.
  if redis.call("EXISTS", records .. page[i]) == 1 then
    reply[#reply + 1] = page[i]
  end
end
return reply

-- sessions_for: lists the negotiations that an agent takes part in and that go on, a page at a time.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   agent, percent-encoded
-- ARGV[2]   the time of creation after which to begin, or "-inf"
-- ARGV[3]   the most negotiations to look at
-- Reply     {"MORE" or "DONE", time of creation of the last one looked at, id, …}
--@include negotiation/negotiations

local agent, after, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local index = sessions .. agent
local page = redis.call("ZRANGEBYSCORE", index, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
local reply = { #page == 2 * most and "MORE" or "DONE", after }
for i = 1, #page, 2 do
  reply[2] = int(tonumber(page[i + 1]))
  local session = load_negotiation(page[i])
  if not session then
    redis.call("ZREM", index, page[i])
  elseif not is_over(session) then
    reply[#reply + 1] = page[i]
  end
end
return reply

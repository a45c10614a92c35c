-- list_sessions: List a page of the open negotiations of an agent, the oldest first.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   agent, percent-encoded
-- ARGV[2]   position of the last entry of the previous page, or "-inf"
-- ARGV[3]   the most entries to read
-- Reply     {"MORE" or "DONE", position of the last entry read, id, …}
--@include negotiation/negotiations

local agent, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local index = sessions .. agent
local page = redis.call("ZRANGEBYSCORE", index, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit)
local reply = { #page == 2 * limit and "MORE" or "DONE", after }
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

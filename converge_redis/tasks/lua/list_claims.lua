-- my_claims: reads the tasks that an agent holds, oldest claim first, a page at a time.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   agent id
-- ARGV[2]   the claim token after which to begin, or "-inf"
-- ARGV[3]   the most tasks to read, but for those with the token of the last one
-- Reply     {"MORE" or "DONE", token of the last task looked at, task, task, …} (tasks/reply)
--@include tasks/expiry
--@include tasks/reply

local agent, after, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local held = redis.call("ZRANGEBYSCORE", claims .. agent, "(" .. after, "+inf", "LIMIT", 0, most)
local reply = { #held == most and "MORE" or "DONE", after }
if #held == most then
  -- What was claimed together has one token: a page ends after all of it.
  local last = redis.call("ZSCORE", claims .. agent, held[most])
  held = redis.call("ZRANGEBYSCORE", claims .. agent, "(" .. after, last)
  reply[2] = int(tonumber(last))
end
for _, id in ipairs(held) do
  local record = load_readable(id)
  if record then
    apply_due(id, record, now)
    if is_claimed(record) then
      reply[#reply + 1] = task_reply(id, record)
    end
  end
end
return reply

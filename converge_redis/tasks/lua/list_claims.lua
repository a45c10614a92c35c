-- list_claims: List a page of the tasks that an agent holds, the oldest claim first.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   agent id
-- ARGV[2]   last claim token of the previous page, or "-inf"
-- ARGV[3]   the most tasks to read; the page also has all others with the token of its last task
-- Reply     {"MORE" or "DONE", token of the last task read, task, task, …} (tasks/reply)
--@include tasks/expiry
--@include tasks/reply

local agent, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local ids = redis.call("ZRANGEBYSCORE", claims .. agent, "(" .. after, "+inf", "LIMIT", 0, limit)
local reply = { #ids == limit and "MORE" or "DONE", after }
if #ids == limit then
  -- Tasks that were claimed by one call have the same token, so the page must not end between them.
  local last_token = redis.call("ZSCORE", claims .. agent, ids[limit])
  ids = redis.call("ZRANGEBYSCORE", claims .. agent, "(" .. after, last_token)
  reply[2] = int(tonumber(last_token))
end
for _, id in ipairs(ids) do
  local record = load_readable(id)
  if record then
    apply_due(id, record, now)
    if is_claimed(record) then
      reply[#reply + 1] = task_reply(id, record)
    end
  end
end
return reply

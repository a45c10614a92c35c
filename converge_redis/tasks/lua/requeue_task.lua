-- requeue_task: failed, cancelled -> pending, with its expired claims forgotten.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- Reply     {"REQUEUED"} | {"UNKNOWN"}
--           {"NOT_FAILED"}: it is neither failed nor cancelled | {"DEADLINE"}: it would fail again at once
--@include tasks/expiry

local call, id = ARGV[1], ARGV[2]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
if seen_call(record, call) then
  return { "REQUEUED" }
end
if record.state ~= "failed" and record.state ~= "cancelled" then
  return { "NOT_FAILED" }
end
if record.deadline then
  if tonumber(record.deadline) <= now then
    return { "DEADLINE" }
  end
  redis.call("ZADD", deadlines, record.deadline, id)
end
leave(id, record)
drop_result(id, record)
reopen(id)
record.calls = push_call(record, call)
record.last_agent, record.has_optional = record.agent or record.last_agent, true
record.agent, record.claimed, record.finished = nil, nil, nil
record.failure, record.expiries, record.lost = nil, nil, nil
enter_pending(id, record, 0)
return { "REQUEUED" }

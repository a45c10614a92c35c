-- requeue_task: Make a failed or cancelled task pending again; its expired claims are no longer counted.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- Reply     {"REQUEUED"} | {"UNKNOWN"}
--           {"NOT_FAILED"}: it is neither failed nor cancelled | {"DEADLINE"}: its deadline has passed
--@include tasks/expiry
--@include tasks/retention

local call_id, id = ARGV[1], ARGV[2]
local record, reply = load_for_call(id, call_id, "REQUEUED")
if reply then
  return reply
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
leave_indexes(id, record)
record.payloads = string.sub(record.payloads, 1, record.size or 0)
redis.call("DEL", results .. id)
invalidate_near_entries(id)
record.calls = push_call(record, call_id)
record.last_agent, record.has_optional = record.agent or record.last_agent, true
record.agent, record.claimed, record.finished = nil, nil, nil
record.failure, record.expiries, record.lost = nil, nil, nil
enter_pending(id, record, 0)
return { "REQUEUED" }

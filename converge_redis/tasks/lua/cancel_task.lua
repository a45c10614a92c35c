-- cancel_task: Cancel a task (pending, assigned, running -> cancelled).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   the most finished tasks to keep in the shard, or ""
-- Reply     {"CANCELLED"} | {"TERMINAL"}: not changed | {"UNKNOWN"}
--@include tasks/expiry
--@include tasks/retention

local call_id, id, max_finished = ARGV[1], ARGV[2], ARGV[3]
local record, reply = load_for_call(id, call_id, "CANCELLED")
if reply then
  return reply
end
if is_terminal(record) then
  return { "TERMINAL" }
end
notify_holder(id, record)
record.calls = push_call(record, call_id)
settle(id, record, "cancelled")
if max_finished ~= "" then
  lazy.evict_finished(max_finished)
end
return { "CANCELLED" }

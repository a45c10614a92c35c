-- cancel_task: pending, assigned, running -> cancelled.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   the most finished tasks to keep in the shard, or ""
-- Reply     {"CANCELLED"} | {"TERMINAL"}: unchanged | {"UNKNOWN"}
--@include tasks/expiry

local call, id, most = ARGV[1], ARGV[2], ARGV[3]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
if seen_call(record, call) then
  return { "CANCELLED" }
end
if is_terminal(record) then
  return { "TERMINAL" }
end
notify_holder(id, record)
record.calls = push_call(record, call)
settle(id, record, "cancelled")
if most ~= "" then
  lazy.evict_finished(most)
end
return { "CANCELLED" }

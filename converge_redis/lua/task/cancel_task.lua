-- cancel_task: pending, assigned, running -> cancelled.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- Reply     {"CANCELLED"} | {"TERMINAL"}: unchanged | {"UNKNOWN"}
--@include shared/time

local call, id = ARGV[1], ARGV[2]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
if has_seen(record, call) then
  return { "CANCELLED" }
end
if is_terminal(record) then
  return { "TERMINAL" }
end
settle(id, record, "cancelled", { calls = remember(record, call) })
return { "CANCELLED" }

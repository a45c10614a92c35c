-- fail_task: pending, assigned, running -> failed, with a reason.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   agent id, or "": anybody may
-- ARGV[4]   claim token, or ""
-- ARGV[5]   reason (msgpack)
-- ARGV[6]   the most finished tasks to keep in the shard, or ""
-- Reply     {"FAILED"} | {"TERMINAL"}: unchanged | {"UNKNOWN"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local call, id, agent, token, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most = ARGV[6]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
if seen_call(record, call) then
  return { "FAILED" }
end
if agent ~= "" then
  local refused = refusal(record, agent, token)
  if refused then
    return refused
  end
elseif is_terminal(record) then
  return { "TERMINAL" }
else
  notify_holder(id, record)
end
record.calls = push_call(record, call)
settle(id, record, "failed", reason)
if most ~= "" then
  lazy.evict_finished(most)
end
return { "FAILED" }

-- fail_task: Fail a task with a reason (pending, assigned, running -> failed).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   id of the agent that must hold the claim, or "": any caller may fail the task
-- ARGV[4]   claim token, or "": the agent id is enough
-- ARGV[5]   reason (msgpack)
-- ARGV[6]   the most finished tasks to keep in the shard, or ""
-- Reply     {"FAILED"} | {"TERMINAL"}: not changed | {"UNKNOWN"} | a refusal (tasks/require_holder)
--@include tasks/require_holder
--@include tasks/retention

local call_id, id, agent, token, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_finished = ARGV[6]
local record, reply = load_for_call(id, call_id, "FAILED")
if reply then
  return reply
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
record.calls = push_call(record, call_id)
settle(id, record, "failed", reason)
if max_finished ~= "" then
  lazy.evict_finished(max_finished)
end
return { "FAILED" }

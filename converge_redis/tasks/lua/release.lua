-- release: assigned, running -> pending, by the holder.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   agent id
-- ARGV[4]   claim token, or "" to know the holder by its agent id
-- ARGV[5]   delay in microseconds until the task can be claimed again
-- ARGV[6]   attempts that this claim counts for: 0 or 1
-- Reply     {"RELEASED"} | {"UNKNOWN"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local call, id, agent, token, delay = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local counts_for = tonumber(ARGV[6])
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
if seen_call(record, call) then
  return { "RELEASED" }
end
local refused = refusal(record, agent, token)
if refused then
  return refused
end
record.attempts = int(tonumber(record.attempts) - 1 + counts_for)
record.calls = push_call(record, call)
end_claim(id, record, now + delay)
return { "RELEASED" }

-- release: Release a claim, for its holder (assigned, running -> pending).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   agent id
-- ARGV[4]   claim token, or "": the agent id is enough
-- ARGV[5]   microseconds until the task can be claimed again
-- ARGV[6]   1: the claim counts as an attempt; 0: it does not
-- Reply     {"RELEASED"} | {"UNKNOWN"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local call_id, id, agent, token, delay = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local counted_attempts = tonumber(ARGV[6])
local record, reply = load_for_call(id, call_id, "RELEASED")
reply = reply or refusal(record, agent, token)
if reply then
  return reply
end
record.attempts = int(tonumber(record.attempts) - 1 + counted_attempts)
record.calls = push_call(record, call_id)
end_claim(id, record, now + delay)
return { "RELEASED" }

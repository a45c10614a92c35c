-- start: Start a claimed task, for its holder (assigned -> running).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   task id
-- ARGV[2]   agent id
-- ARGV[3]   claim token, or "": the agent id is enough
-- Reply     {"STARTED"}, also for a running task | {"UNKNOWN"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local id, agent, token = ARGV[1], ARGV[2], ARGV[3]
local record, refused = load_held(id, agent, token)
if refused then
  return refused
end
if record.state == "assigned" then
  count("assigned", -1)
  count("running", 1)
  record.state = "running"
  save(id, record)
end
return { "STARTED" }

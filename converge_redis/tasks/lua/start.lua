-- start: assigned -> running, by the holder.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   task id
-- ARGV[2]   agent id
-- ARGV[3]   claim token, or "" to know the holder by its agent id
-- Reply     {"STARTED"}, also when it was running already
--           {"UNKNOWN"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local id, agent, token = ARGV[1], ARGV[2], ARGV[3]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
local refused = refusal(record, agent, token)
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

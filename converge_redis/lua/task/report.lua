-- report: assigned, running -> completed, by the holder, with the result.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   task id
-- ARGV[2]   agent id
-- ARGV[3]   claim token, or "" to know the holder by its agent id
-- ARGV[4]   result (msgpack)
-- ARGV[5]   the most finished tasks to keep in the shard, or ""
-- Reply     {"ACCEPTED"}: stored now, or by the same report before
--           {"UNKNOWN"} | a refusal (shared/holder.lua)
--@include shared/holder

local id, agent, token, result, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
if
  record.state == "completed"
  and is_holder(record, agent, token)
  and redis.call("GET", results .. id) == result
then
  return { "ACCEPTED" }
end
local refused = refusal(record, agent, token)
if refused then
  return refused
end
redis.call("SET", results .. id, result)
settle(id, record, "completed", {})
trim(most)
return { "ACCEPTED" }

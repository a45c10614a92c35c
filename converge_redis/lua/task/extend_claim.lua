-- extend_claim: renews the holder's lease, from the server's now.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   task id
-- ARGV[2]   agent id
-- ARGV[3]   claim token, or "" to know the holder by its agent id
-- Reply     {"EXTENDED"} | {"UNKNOWN"} | a refusal (shared/holder.lua)
--@include shared/holder

local id, agent, token = ARGV[1], ARGV[2], ARGV[3]
local record = load_current(id)
if not record then
  return { "UNKNOWN" }
end
local refused = refusal(record, agent, token)
if refused then
  return refused
end
local fields = {}
set_lease(id, record, tonumber(record.claimed), fields)
if fields.lease then
  change(id, record, fields)
end
return { "EXTENDED" }

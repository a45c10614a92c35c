-- claim: pending -> assigned, of one task that the agent names.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   agent id
-- Reply     {"CLAIMED"} | {"NOT_PENDING"} | {"NOT_DUE"} | {"UNKNOWN"}
--@include shared/time

local call, id, agent = ARGV[1], ARGV[2], ARGV[3]
local record = load(id)
if not record then
  return { "UNKNOWN" }
end
if has_seen(record, call) then
  return { "CLAIMED" }
end
catch_up(id, record, now)
if record.state ~= "pending" then
  return { "NOT_PENDING" }
end
if record.due then
  return { "NOT_DUE" }
end
assign(id, record, agent, call, "")
sweep()
return { "CLAIMED" }

-- get_call: reads a call for proposals, or has a listener told of its next change.
-- KEYS[1]   the shard of the task (core/shard_keys)
-- ARGV[1]   task
-- ARGV[2]   listener, or "": only read
-- ARGV[3]   replies: it waits until all have replied, or may no more; award: until it is over
-- Reply     {"FOUND", {agent, reply, …}, field, value, …} | {"UNKNOWN"}
--           {"WAIT", microseconds until time changes it}: not yet; the listener will be told
--@include contract_net/contracts

local id, listener, what = ARGV[1], ARGV[2], ARGV[3]
local contract = load_contract(id)
if not contract then
  return { "UNKNOWN" }
end
if listener ~= "" and contract.state == "open" then
  local ends = tonumber(what == "replies" and contract.closes or contract.lapses)
  local _, commas = string.gsub(contract.invitees, ",", "")
  local is_complete = what == "replies" and redis.call("HLEN", replies .. id) == commas - 1
  if ends > now and not is_complete then
    return watch(contracts .. id, listener, ends)
  end
end
return session_reply({ "FOUND", redis.call("HGETALL", replies .. id) }, contract)

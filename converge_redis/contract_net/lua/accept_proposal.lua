-- accept_proposal: Award the task to an agent that has proposed; the agent holds the claim from now on.
-- KEYS[1]   the shard of the task (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] task, ARGV[3] contractor, ARGV[4] contractor, percent-encoded
-- ARGV[5]   the agent that accepts, percent-encoded, which must be the initiator, or "": not checked
-- Reply     {"DONE"} | {"REFUSED", unknown, not_initiator, no_proposal, late, no_task or not_pending}
--@include tasks/expiry
--@include contract_net/contracts

local call, id, contractor, encoded_contractor, by = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local contract = load_contract(id)
if not contract then
  return { "REFUSED", "unknown" }
elseif by ~= "" and by ~= contract.initiator then
  return { "REFUSED", "not_initiator" }
elseif contract.state == "awarded" and contract.contractor == encoded_contractor then
  return { "DONE" }
elseif contract.state ~= "open" then
  return { "REFUSED", "late" }
end
if string.sub(redis.call("HGET", replies .. id, encoded_contractor) or "", 1, 9) ~= "proposed " then
  return { "REFUSED", "no_proposal" }
end
local record = load_current(id)
if not record then
  return { "REFUSED", "no_task" }
elseif record.state ~= "pending" then
  return { "REFUSED", "not_pending" }
end
assign(id, record, contractor, call)
end_call(id, contract, now, { state = "awarded", contractor = encoded_contractor })
return { "DONE" }

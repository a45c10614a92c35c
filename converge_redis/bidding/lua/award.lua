-- award: Close an auction as resolve does, and give the winner the claim on a task.
-- KEYS[1]   the shard of both (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] auction, ARGV[3] digest of the terms, or "": any
-- ARGV[4]   "1": the revealed bids were checked against their commitments, or ""
-- ARGV[5]   sequence numbers of the bids that do not match, as "3 5"
-- ARGV[6]   task
-- Reply     {"CLOSED", winner or ""} | {"OPEN"} | {"VERIFY"} | {"UNKNOWN"} | {"OTHER_TERMS"}, as of resolve
--           {"REFUSED", no_task, not_pending or awarded}: nothing was changed
--@include tasks/expiry
--@include bidding/close_if_due

local call, id, terms, verified, invalid_list, task = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local auction, reply, outcome = close_if_due(id, terms, verified, invalid_list)
if reply and reply[1] ~= "CLOSED" then
  return reply
end
local winner = outcome and outcome.winner or auction.winner
if winner then
  if auction.awarded then
    return auction.awarded == task and { "CLOSED", winner } or { "REFUSED", "awarded" }
  end
  local record = load_current(task)
  if not record then
    return { "REFUSED", "no_task" }
  elseif record.state ~= "pending" then
    return { "REFUSED", "not_pending" }
  end
  assign(task, record, winner, call)
end
if outcome then
  outcome.awarded = winner and task
  finish_auction(id, auction, now, outcome)
elseif winner then
  redis.call("HSET", auctions .. id, "awarded", task)
end
return { "CLOSED", winner or "" }

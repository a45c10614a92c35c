-- award: as resolve, and gives the winner the claim on a task.
-- KEYS[1]   the shard of both (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] auction, ARGV[3] terms, ARGV[4] as 3 of resolve, ARGV[5] as 4 of resolve
-- ARGV[6]   task
-- Reply     {"CLOSED", winner or ""} | {"OPEN"} | {"VERIFY"} | {"UNKNOWN"} | {"OTHER_TERMS"}, as of resolve
--           {"REFUSED", no_task, not_pending or awarded}: nothing was changed
--@include tasks/expiry
--@include bidding/auctions

local call, id, terms, verified, void, task = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local auction = load_auction(id)
local reply = terms_mismatch(auction, terms)
if reply then
  return reply
end
local ended, outcome = close_if_due(id, auction, verified, void)
if ended and ended[1] ~= "CLOSED" then
  return ended
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

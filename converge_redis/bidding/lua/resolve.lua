-- resolve: Close an auction that has no closing time, or whose commitments are revealed.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction, ARGV[2] digest of the terms, or "": any
-- ARGV[3]   "1": the revealed bids were checked against their commitments, or ""
-- ARGV[4]   sequence numbers of the bids that do not match, as "3 5"
-- Reply     {"CLOSED", winner or ""} | {"OPEN"}: not closed yet | {"UNKNOWN"} | {"OTHER_TERMS"}
--           {"VERIFY"}: the revealed bids must be checked first
--@include bidding/close_if_due

local id, terms, verified, invalid_list = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local auction, reply, outcome = close_if_due(id, terms, verified, invalid_list)
if reply then
  return reply
end
finish_auction(id, auction, now, outcome)
return { "CLOSED", outcome.winner or "" }

-- resolve: ends an auction that nothing else closes, or whose commitments were revealed.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction, ARGV[2] terms
-- ARGV[3]   "1": the revealed bids were held against their commitments, or ""
-- ARGV[4]   the numbers of those that do not fit, as "3 5"
-- Reply     {"CLOSED", winner or ""} | {"OPEN"}: it goes on | {"UNKNOWN"} | {"OTHER_TERMS"}
--           {"VERIFY"}: the revealed bids are to be verified first
--@include bidding/auctions

local id, terms, verified, void = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local auction = load_auction(id)
local reply = terms_mismatch(auction, terms)
if reply then
  return reply
end
local ended, outcome = close_if_due(id, auction, verified, void)
if ended then
  return ended
end
finish_auction(id, auction, now, outcome)
return { "CLOSED", outcome.winner or "" }

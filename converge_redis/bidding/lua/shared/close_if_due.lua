-- Closing an auction on request: `resolve` and `award`.
--@include bidding/auctions

-- Load an auction and move it as far towards its close as possible now. Return it, and either the reply to
-- the call, or nil and the outcome with which the caller must finish it. `verified` is "1" once the revealed
-- bids were checked against their commitments; `invalid_list` has the sequence numbers of those that do not
-- match.
local function close_if_due(id, terms, verified, invalid_list)
  local auction, reply = load_with_terms(id, terms)
  if reply then
    return auction, reply
  end
  if auction.state == "open" then
    if auction.closes then
      return auction, { "OPEN" }
    elseif not needs_reveal(auction) then
      return auction, nil, decide(id, auction, {})
    end
    enter_revealing(id, auction, now)
  end
  if auction.state == "closed" then
    return auction, { "CLOSED", auction.winner or "" }
  elseif not is_revealed(id, auction) then
    return auction, { "OPEN" }
  elseif verified == "" then
    return auction, { "VERIFY" }
  end
  local invalid = {}
  for sequence in string.gmatch(invalid_list, "%d+") do
    invalid[sequence] = true
  end
  return auction, nil, decide(id, auction, invalid)
end

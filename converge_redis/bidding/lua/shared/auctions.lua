-- Auctions: loading them, and the transitions between their states.
--@include bidding/outcome

-- An auction is a session:
--   terms                           digest of the fields up to `reveal`
--   type, direction                 the rules; max or min: which amounts are better
--   reserve, increment, start, decrement, tick   amounts; tick: microseconds per step of a Dutch price
--   deadline, quiet, hard           when it closes for bids: microseconds from the opening; from the last
--                                   bid, where that is later; from the opening, at the latest
--   reveal                          microseconds after the close in which commitments can be revealed; none:
--                                   the bids are no commitments
--   retention                       microseconds for which it is kept after its end
--   state, opened, closes, ended    open, revealing, closed; times
--   last, revealed                  sequence number of the last bid; number of revealed bids
--   leader, standing, place         English: agent, amount and sequence number of the standing bid
--   winner, price, place, reason    the outcome; awarded: the task that the winner was given

-- Return when an auction closes for bids, given the time of its last bid; nil where only a call closes it.
local function closing_time(auction, last_bid)
  local opened, closes = tonumber(auction.opened), 0
  if auction.deadline then
    closes = opened + tonumber(auction.deadline)
  end
  if auction.quiet then
    closes = math.max(closes, last_bid + tonumber(auction.quiet))
  end
  if auction.hard then
    local latest = opened + tonumber(auction.hard)
    closes = closes > 0 and math.min(closes, latest) or latest
  end
  return closes > 0 and closes or nil
end

-- Let the keys of an auction expire, where the time of its close is known.
local function set_auction_expiry(id, auction)
  if auction.closes then
    local ends = tonumber(auction.closes) + tonumber(auction.reveal or 0) + tonumber(auction.retention)
    expire_at(ends, { auctions .. id, bids .. id, bidders .. id })
  end
end

local function finish_auction(id, auction, at, outcome)
  outcome.state, outcome.ended = "closed", int(at)
  update_session(auctions .. id, auction, outcome)
  expire_at(at + tonumber(auction.retention), { auctions .. id, bids .. id, bidders .. id })
end

local function needs_reveal(auction)
  return auction.reveal and auction.last
end

-- Close an auction for bids; its commitments can be revealed now.
local function enter_revealing(id, auction, at)
  update_session(auctions .. id, auction, { state = "revealing", closes = int(at) })
  set_auction_expiry(id, auction)
end

-- Return whether all commitments are revealed, or the time for that is over.
local function is_revealed(id, auction)
  return auction.state == "revealing"
    and (
      tonumber(auction.closes) + tonumber(auction.reveal) <= now
      or tonumber(auction.revealed or 0) == redis.call("HLEN", bidders .. id)
    )
end

-- Load an auction; close it first if its closing time has passed.
local function load_auction(id)
  local auction = read_hash(auctions .. id)
  local closes = auction and tonumber(auction.closes)
  if closes and closes <= now and auction.state == "open" then
    if needs_reveal(auction) then
      enter_revealing(id, auction, closes)
    else
      finish_auction(id, auction, closes, decide(id, auction, {}))
    end
  end
  return auction
end

-- Load an auction that must have some terms ("": any); return it, and the reply to the call if it ends here.
local function load_with_terms(id, terms)
  local auction = load_auction(id)
  if not auction then
    return nil, { "UNKNOWN" }
  elseif terms ~= "" and terms ~= auction.terms then
    return auction, { "OTHER_TERMS" }
  end
  return auction
end

-- Auctions. Amounts are text, as the bidders gave them; `sign` turns "the less, the better" around.
--@include notifications/session
local auctions, bids, bidders = base .. "auction:", base .. "bids:", base .. "bidders:"

-- An auction is a session:
--   terms                              a digest of all that follows up to `retention`
--   type, direction                    the rules; max or min: which amounts are better
--   reserve, increment, start, decrement, tick           amounts; tick: microseconds
--   deadline, quiet, hard              when it closes: microseconds from the opening, after the last bid, and
--                                      from the opening again
--   reveal                             how long commitments may be revealed after that; none: no commitments
--   retention                          microseconds for which it is kept when it is over
--   state, opened, closes, ended       open, revealing, closed; times
--   last, revealed                     the sequence number of the last bid; how many were revealed
--   leader, standing, place            English: the standing bid's agent, amount and sequence number
--   winner, price, place, reason       how it ended; awarded: the task that the winner was given
-- A bid is "<time> <amount> <bytes of the agent's id> <agent's id><content>"; its amount is "#<commitment>"
-- until it is revealed. `c<number>` then holds the commitment, `n<number>` the nonce.

local function sign(auction)
  return auction.direction == "min" and -1 or 1
end

local function beats(auction, amount, other)
  return sign(auction) * amount > sign(auction) * other
end

local function meets_reserve(auction, amount)
  return not auction.reserve or not beats(auction, tonumber(auction.reserve), amount)
end

local function is_sealed(auction)
  return auction.type == "first_price_sealed_bid" or auction.type == "second_price_sealed_bid"
end

-- When an auction closes: at its deadline, or after `quiet` without a bid where that is later; `hard` at the
-- latest. Returns nil where nothing closes it.
local function closing_time(auction, last_bid)
  local opened, ends = tonumber(auction.opened), 0
  if auction.deadline then
    ends = opened + tonumber(auction.deadline)
  end
  if auction.quiet then
    ends = math.max(ends, last_bid + tonumber(auction.quiet))
  end
  if auction.hard then
    local latest = opened + tonumber(auction.hard)
    ends = ends > 0 and math.min(ends, latest) or latest
  end
  return ends > 0 and ends or nil
end

-- The price of a Dutch auction: it falls from `start` to the reserve (0 where there is none); for direction
-- min it rises from `start` to the reserve.
local function dutch_price(auction)
  local ticks = math.floor((now - tonumber(auction.opened)) / tonumber(auction.tick))
  local price = tonumber(auction.start) - sign(auction) * ticks * tonumber(auction.decrement)
  local limit = auction.reserve or auction.direction == "max" and "0" or nil
  if limit and not beats(auction, price, tonumber(limit)) then
    return limit
  end
  return string.format("%.17g", price)
end

local function read_bid(row)
  local at, amount, size, begins = string.match(row, "^(%S+) (%S+) (%d+) ()")
  return at, amount, string.sub(row, begins, begins + size - 1)
end

local function write_bid(at, amount, agent, content)
  return at .. " " .. amount .. " " .. #agent .. " " .. agent .. content
end

local function keep_auction(id, auction)
  if auction.closes then
    local ends = tonumber(auction.closes) + tonumber(auction.reveal or 0) + tonumber(auction.retention)
    expire_at(ends, { auctions .. id, bids .. id, bidders .. id })
  end
end

-- The best and second best of sealed bids that meet the reserve; of equal ones the earlier is better. `void`
-- holds the numbers of those that do not count.
local BIDS_AT_ONCE = 200

local function rank(id, auction, void)
  local best, second
  local last = tonumber(auction.last or 0)
  for first = 1, last, BIDS_AT_ONCE do
    local numbers = {}
    for number = first, math.min(last, first + BIDS_AT_ONCE - 1) do
      numbers[#numbers + 1] = int(number)
    end
    for i, row in ipairs(redis.call("HMGET", bids .. id, unpack(numbers))) do
      local _, amount, agent
      if row then
        _, amount, agent = read_bid(row)
      end
      local value = amount and tonumber(amount)
      if value and meets_reserve(auction, value) and not void[numbers[i]] then
        local bid = { agent = agent, amount = amount, value = value, place = numbers[i] }
        if not best or beats(auction, value, best.value) then
          best, second = bid, best
        elseif not second or beats(auction, value, second.value) then
          second = bid
        end
      end
    end
  end
  return best, second
end

-- What the best of a second-price auction pays: the second bid, else the reserve, else 0; never more than its
-- own bid. For direction min, where no second bid and no reserve speak for less, its own.
local function second_price(auction, best, second)
  if second then
    return second.amount
  end
  local fallback = auction.reserve or auction.direction == "max" and "0"
  if not fallback or beats(auction, tonumber(fallback), best.value) then
    return best.amount
  end
  return fallback
end

-- How an auction ends by the bids that there are.
local function decide(id, auction, void)
  if is_sealed(auction) then
    local best, second = rank(id, auction, void)
    if best then
      local price = best.amount
      if auction.type == "second_price_sealed_bid" then
        price = second_price(auction, best, second)
      end
      return { winner = best.agent, price = price, place = best.place, reason = "sold" }
    end
  elseif auction.leader and meets_reserve(auction, tonumber(auction.standing)) then
    local winner, price = auction.leader, auction.standing
    return { winner = winner, price = price, place = auction.place, reason = "sold" }
  end
  return { reason = auction.last and "below_reserve" or "no_bids" }
end

local function finish_auction(id, auction, at, outcome)
  outcome.state, outcome.ended = "closed", int(at)
  update_session(auctions .. id, auction, outcome)
  local ends = at + tonumber(auction.retention)
  expire_at(ends, { auctions .. id, bids .. id, bidders .. id })
end

-- Nothing can be bid any more; commitments, where there are any, can now be revealed.
local function enter_revealing(id, auction, at)
  update_session(auctions .. id, auction, { state = "revealing", closes = int(at) })
  keep_auction(id, auction)
end

local function needs_reveal(auction)
  return auction.reveal and auction.last
end

-- Returns an auction as it is now: past its closing time it was closed then.
local function load_auction(id)
  local auction = load_session(auctions .. id)
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

-- Whether all commitments were revealed, or the time for it is over.
local function is_revealed(id, auction)
  return auction.state == "revealing"
    and (
      tonumber(auction.closes) + tonumber(auction.reveal) <= now
      or tonumber(auction.revealed or 0) == redis.call("HLEN", bidders .. id)
    )
end

-- Brings an auction to its end as far as that can be done now. Returns nil, and how it is to end by the bids,
-- which the caller has to conclude; or the reply that it goes on, waits to be verified, or has ended.
local function close_if_due(id, auction, verified, void_list)
  if auction.state == "open" then
    if auction.closes then
      return { "OPEN" }
    elseif not needs_reveal(auction) then
      return nil, decide(id, auction, {})
    end
    enter_revealing(id, auction, now)
  end
  if auction.state == "closed" then
    return { "CLOSED", auction.winner or "" }
  elseif not is_revealed(id, auction) then
    return { "OPEN" }
  elseif verified == "" then
    return { "VERIFY" }
  end
  local void = {}
  for number in string.gmatch(void_list, "%d+") do
    void[number] = true
  end
  return nil, decide(id, auction, void)
end

-- Returns the reply to a call for an auction that is unknown, or has other terms ("": any).
local function terms_mismatch(auction, terms)
  if not auction then
    return { "UNKNOWN" }
  elseif terms ~= "" and terms ~= auction.terms then
    return { "OTHER_TERMS" }
  end
end

-- submit_bid: a bid by the rules of the auction; in a Dutch one it accepts the price.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] auction, ARGV[3] terms, ARGV[4] agent
-- ARGV[5]   amount, or "#<commitment>"
-- ARGV[6]   content
-- Reply     {"DONE"} | {"REFUSED", late, increment, leader or limit} | {"UNKNOWN"} | {"OTHER_TERMS"}
--@include bidding/auctions

local call, id, terms, agent, amount, content = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

-- Notes a bid; returns its sequence number.
local function note(auction, amount)
  local place = redis.call("HINCRBY", auctions .. id, "last", 1)
  auction.last = int(place)
  redis.call("HSET", bids .. id, auction.last, write_bid(now_text, amount, agent, content))
  redis.call("HSET", bidders .. id, agent, auction.last .. " " .. call)
  keep_auction(id, auction)
  return auction.last
end

local function bid_sealed(auction, before)
  if before then
    redis.call("HDEL", bids .. id, string.match(before, "^%d+"))
  end
  note(auction, amount)
  return { "DONE" }
end

local function bid_openly(auction)
  if auction.leader == agent then
    return { "REFUSED", "leader" }
  end
  local value, standing = tonumber(amount), tonumber(auction.standing)
  if standing then
    local step = tonumber(auction.increment or 0)
    local least = standing + sign(auction) * step
    if beats(auction, least, value) or (step == 0 and value == standing) then
      return { "REFUSED", "increment" }
    end
  end
  local closes = closing_time(auction, now)
  auction.closes = closes and int(closes)
  local place = note(auction, amount)
  local fields = { leader = agent, standing = amount, place = place, closes = auction.closes }
  update_session(auctions .. id, auction, fields)
  return { "DONE" }
end

local function accept_price(auction)
  local price = dutch_price(auction)
  if beats(auction, tonumber(price), tonumber(amount)) then
    return { "REFUSED", "limit" }
  end
  local place = note(auction, amount)
  finish_auction(id, auction, now, { winner = agent, price = price, place = place, reason = "sold" })
  return { "DONE" }
end

local auction = load_auction(id)
local reply = terms_mismatch(auction, terms)
if reply then
  return reply
end
local before = redis.call("HGET", bidders .. id, agent)
if before and string.match(before, " (.*)$") == call then
  return { "DONE" }
elseif auction.state ~= "open" then
  return { "REFUSED", "late" }
elseif is_sealed(auction) then
  return bid_sealed(auction, before)
elseif auction.type == "english" then
  return bid_openly(auction)
end
return accept_price(auction)

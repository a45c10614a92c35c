-- submit_bid: Bid by the rules of the auction; a bid in a Dutch auction accepts the price.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] auction, ARGV[3] digest of the terms, or "": any, ARGV[4] agent
-- ARGV[5]   amount, or "#<commitment>"
-- ARGV[6]   content
-- Reply     {"DONE"} | {"REFUSED", late, increment, leader or limit} | {"UNKNOWN"} | {"OTHER_TERMS"}
--@include bidding/auctions

local call, id, terms, agent, amount, content = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

-- Store the bid, and return its sequence number.
local function store_bid(auction)
  auction.last = int(redis.call("HINCRBY", auctions .. id, "last", 1))
  redis.call("HSET", bids .. id, auction.last, write_bid(now_text, amount, agent, content))
  redis.call("HSET", bidders .. id, agent, auction.last .. " " .. call)
  set_auction_expiry(id, auction)
  return auction.last
end

local function bid_sealed(auction, previous)
  if previous then
    redis.call("HDEL", bids .. id, string.match(previous, "^%d+"))
  end
  store_bid(auction)
  return { "DONE" }
end

local function bid_english(auction)
  if auction.leader == agent then
    return { "REFUSED", "leader" }
  end
  local value, standing = tonumber(amount), tonumber(auction.standing)
  if standing then
    local step = tonumber(auction.increment or 0)
    local required = standing + sign(auction) * step
    if beats(auction, required, value) or (step == 0 and value == standing) then
      return { "REFUSED", "increment" }
    end
  end
  local closes = closing_time(auction, now)
  auction.closes = closes and int(closes)
  local sequence = store_bid(auction)
  local fields = { leader = agent, standing = amount, place = sequence, closes = auction.closes }
  update_session(auctions .. id, auction, fields)
  return { "DONE" }
end

local function bid_dutch(auction)
  local price = dutch_price(auction)
  if beats(auction, tonumber(price), tonumber(amount)) then
    return { "REFUSED", "limit" }
  end
  local sequence = store_bid(auction)
  finish_auction(id, auction, now, { winner = agent, price = price, place = sequence, reason = "sold" })
  return { "DONE" }
end

local auction, reply = load_with_terms(id, terms)
if reply then
  return reply
end
local previous = redis.call("HGET", bidders .. id, agent)
if previous and string.match(previous, " (.*)$") == call then
  return { "DONE" }
elseif auction.state ~= "open" then
  return { "REFUSED", "late" }
elseif is_sealed(auction) then
  return bid_sealed(auction, previous)
elseif auction.type == "english" then
  return bid_english(auction)
end
return bid_dutch(auction)

-- Bids and amounts. An amount is stored as the text that the bidder gave.
--@include notifications/session

-- Return the factor by which amounts compare as "the higher, the better".
local function sign(auction)
  return auction.direction == "min" and -1 or 1
end

local function beats(auction, amount, other)
  return sign(auction) * amount > sign(auction) * other
end

local function is_sealed(auction)
  return auction.type == "first_price_sealed_bid" or auction.type == "second_price_sealed_bid"
end

-- Return the price of a Dutch auction. It moves from `start` to the reserve: down, or up with direction min.
-- Without a reserve it falls to 0, or rises without limit.
local function dutch_price(auction)
  local ticks = math.floor((now - tonumber(auction.opened)) / tonumber(auction.tick))
  local price = tonumber(auction.start) - sign(auction) * ticks * tonumber(auction.decrement)
  local limit = auction.reserve or auction.direction == "max" and "0" or nil
  if limit and not beats(auction, price, tonumber(limit)) then
    return limit
  end
  return string.format("%.17g", price)
end

-- A bid is "<time> <amount> <bytes of the agent's id> <agent's id><content>". The amount of a commitment is
-- "#<commitment>" until it is revealed; after that the field `c<sequence>` of the bids holds the commitment,
-- and `n<sequence>` the nonce.
local function read_bid(row)
  local time, amount, size, start = string.match(row, "^(%S+) (%S+) (%d+) ()")
  return time, amount, string.sub(row, start, start + size - 1)
end

local function write_bid(time, amount, agent, content)
  return time .. " " .. amount .. " " .. #agent .. " " .. agent .. content
end

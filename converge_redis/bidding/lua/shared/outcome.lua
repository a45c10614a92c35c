-- The outcome of an auction by its bids: winner, price and reason.
--@include bidding/bids

local function meets_reserve(auction, amount)
  return not auction.reserve or not beats(auction, tonumber(auction.reserve), amount)
end

local BIDS_PER_READ = 200

-- Return the best and the second best of the sealed bids that meet the reserve. Of equal bids the earlier is
-- better. `invalid` is the set of sequence numbers of the bids that do not count.
local function rank(id, auction, invalid)
  local best, second
  local last = tonumber(auction.last or 0)
  for first = 1, last, BIDS_PER_READ do
    local sequences = {}
    for sequence = first, math.min(last, first + BIDS_PER_READ - 1) do
      sequences[#sequences + 1] = int(sequence)
    end
    for i, row in ipairs(redis.call("HMGET", bids .. id, unpack(sequences))) do
      local _, amount, agent
      if row then
        _, amount, agent = read_bid(row)
      end
      local value = amount and tonumber(amount)
      if value and meets_reserve(auction, value) and not invalid[sequences[i]] then
        local bid = { agent = agent, amount = amount, value = value, sequence = sequences[i] }
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

-- Return the price of a second-price auction: the second bid, else the reserve, else 0 (direction min: the
-- best bid); never worse for the winner than its own bid.
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

local function decide(id, auction, invalid)
  if is_sealed(auction) then
    local best, second = rank(id, auction, invalid)
    if best then
      local price = best.amount
      if auction.type == "second_price_sealed_bid" then
        price = second_price(auction, best, second)
      end
      return { winner = best.agent, price = price, place = best.sequence, reason = "sold" }
    end
  elseif auction.leader and meets_reserve(auction, tonumber(auction.standing)) then
    local winner, price = auction.leader, auction.standing
    return { winner = winner, price = price, place = auction.place, reason = "sold" }
  end
  return { reason = auction.last and "below_reserve" or "no_bids" }
end

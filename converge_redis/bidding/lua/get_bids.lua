-- get_bids: reads bids, a page at a time. Those of a sealed auction cannot be read before its close.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction
-- ARGV[2]   the first sequence number
-- ARGV[3]   the most numbers to look at
-- Reply     {"MORE" or "DONE", row, …}, a row being {number, bid, commitment, nonce}
--           {"UNKNOWN"} | {"SEALED"}
--@include bidding/auctions

local id, first, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local auction = load_auction(id)
if not auction then
  return { "UNKNOWN" }
end
if is_sealed(auction) and auction.state ~= "closed" and not is_revealed(id, auction) then
  return { "SEALED" }
end
local last = tonumber(auction.last or 0)
local reply = { first + most <= last and "MORE" or "DONE" }
for number = first, math.min(last, first + most - 1) do
  local place = int(number)
  local row = redis.call("HMGET", bids .. id, place, "c" .. place, "n" .. place)
  if row[1] then
    reply[#reply + 1] = { place, row[1], row[2] or "", row[3] or "" }
  end
end
return reply

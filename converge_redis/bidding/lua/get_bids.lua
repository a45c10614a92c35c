-- get_bids: Read a page of the bids. Those of a sealed auction cannot be read before its close.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction
-- ARGV[2]   the first sequence number
-- ARGV[3]   the most sequence numbers to read
-- Reply     {"MORE" or "DONE", row, …}; row: {sequence number, bid, commitment, nonce}
--           {"UNKNOWN"} | {"SEALED"}
--@include bidding/auctions

local id, first, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local auction = load_auction(id)
if not auction then
  return { "UNKNOWN" }
end
if is_sealed(auction) and auction.state ~= "closed" and not is_revealed(id, auction) then
  return { "SEALED" }
end
local last = tonumber(auction.last or 0)
local reply = { first + limit <= last and "MORE" or "DONE" }
for number = first, math.min(last, first + limit - 1) do
  local sequence = int(number)
  local row = redis.call("HMGET", bids .. id, sequence, "c" .. sequence, "n" .. sequence)
  if row[1] then
    reply[#reply + 1] = { sequence, row[1], row[2] or "", row[3] or "" }
  end
end
return reply

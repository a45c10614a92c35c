-- reveal: Reveal the bid behind a commitment. The call that closes the auction checks one against the other.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction, ARGV[2] digest of the terms, or "": any
-- ARGV[3]   agent, ARGV[4] commitment, ARGV[5] amount, ARGV[6] nonce, ARGV[7] content
-- Reply     {"DONE"} | {"REFUSED", early, late or other} | {"UNKNOWN"} | {"OTHER_TERMS"}
--@include bidding/auctions

local id, terms, agent, commitment = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local amount, nonce, content = ARGV[5], ARGV[6], ARGV[7]
local auction, reply = load_with_terms(id, terms)
if reply then
  return reply
elseif auction.state == "open" then
  return { "REFUSED", "early" }
end
local sequence = string.match(redis.call("HGET", bidders .. id, agent) or "", "^%d+")
if not sequence then
  return { "REFUSED", "other" }
elseif redis.call("HGET", bids .. id, "c" .. sequence) == commitment then
  return { "DONE" }
end
local time, committed = read_bid(redis.call("HGET", bids .. id, sequence))
if committed ~= commitment then
  return { "REFUSED", "other" }
elseif auction.state == "closed" or tonumber(auction.closes) + tonumber(auction.reveal) <= now then
  return { "REFUSED", "late" }
end
redis.call("HSET", bids .. id, sequence, write_bid(time, amount, agent, content))
redis.call("HSET", bids .. id, "c" .. sequence, commitment, "n" .. sequence, nonce)
update_session(auctions .. id, auction, { revealed = int(tonumber(auction.revealed or 0) + 1) })
return { "DONE" }

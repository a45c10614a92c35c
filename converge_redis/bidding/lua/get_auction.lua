-- get_auction: reads an auction, or has a listener told of its next change.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction
-- ARGV[2]   listener, or "": only read
-- ARGV[3]   the version that is known to it
-- ARGV[4]   "end": only its end counts, or what is to be done for it; "": any change
-- Reply     {"FOUND", "1" if revealed bids are to be verified, Dutch price, field, value, …} | {"UNKNOWN"}
--           {"WAIT", microseconds until it closes, or ""}: no change yet; the listener will be told
--@include bidding/auctions

local id, listener, known, what = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local auction = load_auction(id)
if not auction then
  return { "UNKNOWN" }
end
local due = is_revealed(id, auction)
local is_news = tonumber(auction.version) > known and (what ~= "end" or auction.state ~= "open")
if listener ~= "" and auction.state ~= "closed" and not due and not is_news then
  local ends = tonumber(auction.closes) or math.huge
  if auction.state == "revealing" then
    ends = ends + tonumber(auction.reveal)
  end
  return watch(auctions .. id, listener, ends)
end
local price = auction.type == "dutch" and auction.state == "open" and dutch_price(auction) or ""
if is_sealed(auction) and auction.state ~= "closed" then
  auction.last = nil
end
return session_reply({ "FOUND", due and "1" or "", price }, auction)

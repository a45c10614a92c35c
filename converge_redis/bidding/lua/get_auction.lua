-- get_auction: Read an auction, or register a listener for its next change.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction
-- ARGV[2]   listener, or "": only read
-- ARGV[3]   the version that the caller knows
-- ARGV[4]   "end": wait until it is closed for bids; "": until any change
-- Reply     {"FOUND", "1" if revealed bids must be checked, Dutch price, field, value, …} | {"UNKNOWN"}
--           {"WAIT", microseconds until it closes, or ""}: no change yet; the listener will be notified
--@include bidding/auctions

local id, listener, known, event = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local auction = load_auction(id)
if not auction then
  return { "UNKNOWN" }
end
local must_verify = is_revealed(id, auction)
local has_changed = tonumber(auction.version) > known and (event ~= "end" or auction.state ~= "open")
if listener ~= "" and auction.state ~= "closed" and not must_verify and not has_changed then
  local due = tonumber(auction.closes) or math.huge
  if auction.state == "revealing" then
    due = due + tonumber(auction.reveal)
  end
  return watch(auctions .. id, listener, due)
end
local price = auction.type == "dutch" and auction.state == "open" and dutch_price(auction) or ""
if is_sealed(auction) and auction.state ~= "closed" then
  auction.last = nil -- the number of sealed bids is secret
end
return session_reply({ "FOUND", must_verify and "1" or "", price }, auction)

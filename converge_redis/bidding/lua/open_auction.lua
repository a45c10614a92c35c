-- open_auction: Open an auction; its time runs from now.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   auction, ARGV[2…] names and values of its terms (bidding/auctions)
-- Reply     {"OPENED"}: by this call or an earlier one
--@include bidding/auctions

local id = ARGV[1]
if redis.call("EXISTS", auctions .. id) == 1 then
  return { "OPENED" }
end
local fields = { state = "open", opened = now_text }
for i = 2, #ARGV, 2 do
  fields[ARGV[i]] = ARGV[i + 1]
end
local closes = closing_time(fields, now)
fields.closes = closes and int(closes)
update_session(auctions .. id, {}, fields)
set_auction_expiry(id, fields)
return { "OPENED" }

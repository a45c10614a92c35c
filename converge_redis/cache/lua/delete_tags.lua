-- delete_tags: ends all entries that have one of some tags, also those that are being computed.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[…]   tags
-- Reply     {"OK"}
--@include cache/entries

local version = next_version()
for _, tag in ipairs(ARGV) do
  -- No entry has a tag that nothing is known of.
  redis.call("SET", tag_versions .. tag, version, "XX", "KEEPTTL")
end
return { "OK" }

-- delete_tags: Invalidate all entries that have one of some tags, and their computations in progress.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[…]   tags
-- Reply     {"OK"}
--@include cache/entries

local version = next_version()
for _, tag in ipairs(ARGV) do
  -- A tag without a stored version has no entries.
  redis.call("SET", tag_versions .. tag, version, "XX", "KEEPTTL")
end
return { "OK" }

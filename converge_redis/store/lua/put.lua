-- put: Store values, new or in place of existing ones, atomically.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   milliseconds after which they expire, or ""
-- ARGV[2…]  key, value; key, value; …
-- Reply     {"STORED"}
--@include store/values

sweep_expired(SWEPT_PER_WRITE)
local version = next_version()
for i = 2, #ARGV, 2 do
  store_value(ARGV[i], version, ARGV[i + 1], ARGV[1])
end
return { "STORED" }

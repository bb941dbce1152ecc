#include "config/nearest.hpp"
#include "config/settings.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace mooring;
using namespace mooring::config;

namespace {

class temporary_file {
 public:
  explicit temporary_file(std::string_view text) {
    char name[] = "/tmp/mooring-settings-XXXXXX";
    const int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    path = name;
    std::ofstream(path) << text;
    ::close(fd);
  }
  ~temporary_file() { std::filesystem::remove(path); }
  std::filesystem::path path;
};

std::string failure_of(std::string_view toml) {
  const temporary_file file(toml);
  const auto loaded = load(file.path, {}, {});
  return loaded.ok() ? "" : loaded.failure().message;
}

} // namespace

TEST_CASE("the defaults are valid and listen on loopback") {
  const auto loaded = load({}, {}, {});
  REQUIRE(loaded.ok());
  CHECK(loaded->network.listen == "127.0.0.1:8440");
  CHECK(loaded->data.folder == "./mooring-data");
}

TEST_CASE("the file is read first, the environment wins over it, a flag over both") {
  const temporary_file file("[data]\nfolder = \"/from/file\"\nshards = 2\n[sync]\nretention_ms = "
                            "\"7d\"\nshared_domains = [\"TASK\"]\n"
                            "[limits]\nuser_per_second = 5\n[network]\nlisten = \"127.0.0.1:1\"\n");
  const auto loaded = load(
      file.path, {{"MOORING_DATA_FOLDER", "/from/environment"}, {"MOORING_NETWORK_LISTEN", "127.0.0.1:2"}},
      {{"network.listen", "127.0.0.1:3"}});
  REQUIRE(loaded.ok());
  CHECK(loaded->data.folder == "/from/environment");
  CHECK(loaded->data.shards == 2);
  CHECK(loaded->sync.retention_ms == 7ll * 86'400'000);
  CHECK(loaded->sync.shared_domains == std::vector<std::string>{"TASK"});
  CHECK(loaded->limits.user_per_second == 5.0);
  CHECK(loaded->network.listen == "127.0.0.1:3");
}

TEST_CASE("a mistake is named with its place and what would be right") {
  CHECK(failure_of("[network]\nlistn = \"x\"\n").find("did you mean network.listen") != std::string::npos);
  CHECK(failure_of("[data]\nshards = 0\n").find("from 1 to 64") != std::string::npos);
  CHECK(failure_of("[data]\nshards = \"many\"\n").find("data.shards") != std::string::npos);
  CHECK(failure_of("[data]\nshards = true\n").find("whole number") != std::string::npos);
  CHECK(failure_of("[network]\ninsecure = 1\n").find("true or false") != std::string::npos);
  CHECK(failure_of("[network]\nallowed_origins = \"x\"\n").find("list") != std::string::npos);
  for (const auto* origin :
       {"app.example.org", "https://app.example.org/", "https://app.example.org/app", " https://a.org",
        "https://", "https://:80", "https://a.org:", "https://a.org:x", "https://[x]", "['https://a.org']"})
    CHECK_MESSAGE(
        failure_of("[network]\nallowed_origins = [\"" + std::string(origin) + "\"]\n").find("is no origin") !=
            std::string::npos,
        origin);
  CHECK(failure_of("[network]\nallowed_origins = [\"https://a-b.example.org\", \"http://localhost:3000\", "
                   "\"*\", \"null\", "
                   "\"http://[::1]:8080\", \"http://[::1]\", \"capacitor://localhost\"]\n") == "");
  CHECK(failure_of("[sync]\nretention_ms = \"3 weeks\"\n").find("30d") != std::string::npos);
  CHECK(failure_of("[sync]\nshared_domains = [\"CATS\"]\n").find("CATS") != std::string::npos);
  CHECK(failure_of("[log]\nlevel = \"loud\"\n").find("debug") != std::string::npos);
  CHECK(failure_of("what is this").find(":1:") != std::string::npos);
  CHECK(failure_of("[network]\nlisten = \"0.0.0.0:8440\"\n").find("--insecure") != std::string::npos);
  CHECK(failure_of("[network]\nlisten = \"8440\"\n").find("ADDRESS:PORT") != std::string::npos);
  CHECK(failure_of("[network]\ntls_key = \"k\"\n").find("together") != std::string::npos);
  CHECK(failure_of("[[auth.keys]]\nkid = \"a\"\nalgorithm = \"none\"\nfile = \"f\"\n").find("RS256") !=
        std::string::npos);
  CHECK(failure_of("[[auth.keys]]\nkid = \"a\"\nsecret = \"none\"\n").find("secret") != std::string::npos);
  CHECK(failure_of("[network]\ntrusted_proxies = [\"10.0.0.1/8\"]\n").find("10.0.0.0/8") !=
        std::string::npos);
  CHECK(failure_of("[network]\ntrusted_proxies = [\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\"]\n") ==
        "");
  CHECK_FALSE(load("/nonexistent.toml", {}, {}).ok());
  const auto misspelt = load({}, {{"MOORING_NETWROK_LISTEN", "x"}, {"MOORING_TOKEN", "secret"}}, {});
  REQUIRE(misspelt.ok());
  REQUIRE(misspelt->warnings.size() == 1);
  CHECK(misspelt->warnings[0] ==
        "environment: MOORING_NETWROK_LISTEN is no setting; the nearest is MOORING_NETWORK_LISTEN");
  CHECK_FALSE(load({}, {}, {{"network.lisen", "x"}}).ok());
}

TEST_CASE("the nearest word is the one with the fewest letters changed") {
  CHECK(nearest("serv", {"token", "serve", "check"}) == "serve");
  CHECK(nearest("chekc", {"token", "serve", "check"}) == "check");
  CHECK(nearest("", {"ab", "a"}) == "a");
  CHECK(nearest("x", {}) == "");
}

TEST_CASE("listening beyond loopback needs TLS or the word insecure") {
  CHECK_FALSE(load({}, {}, {{"network.listen", "192.0.2.1:8440"}}).ok());
  CHECK(load({}, {}, {{"network.listen", "192.0.2.1:8440"}, {"network.insecure", "true"}}).ok());
  CHECK(load({}, {}, {{"network.listen", "[::1]:0"}}).ok());
}

TEST_CASE("durations and sizes are read with their units") {
  CHECK(*parse_duration_ms("250ms") == 250);
  CHECK(*parse_duration_ms("90s") == 90'000);
  CHECK(*parse_duration_ms("1h") == 3'600'000);
  CHECK(*parse_bytes("10MiB") == 10'485'760);
  for (const auto* text : {"", "-1s", "1x", "h", "99999999999999999d"})
    CHECK_FALSE(parse_duration_ms(text).ok());
}

TEST_CASE("the example file in docs is the one that the table prints, and it loads") {
  std::ifstream in(std::string(MOORING_SOURCE_DIR) + "/docs/mooring.example.toml");
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str() == example_toml());
  std::string uncommented;
  std::istringstream lines(example_toml());
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# ") && line.find(" = ") != std::string::npos &&
        line.find("MOORING_") == std::string::npos && line.find("kid") == std::string::npos &&
        line.find("algorithm =") == std::string::npos && line.find("file = \"/etc") == std::string::npos)
      uncommented += line.substr(2) + "\n";
    else if (line.starts_with("["))
      uncommented += line + "\n";
  CHECK(failure_of(uncommented) == "");
}

TEST_CASE("the README's table of settings is the one that the table prints") {
  std::ifstream in(std::string(MOORING_SOURCE_DIR) + "/README.md");
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str().find(reference_table()) != std::string::npos);
}

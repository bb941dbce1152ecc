// A certificate and its key in files that go with the test.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace mooring::net::test {

class certificate_files {
 public:
  certificate_files() {
    char name[] = "/tmp/mooring-tls-XXXXXX";
    folder_ = mkdtemp(name);
    certificate = folder_ / "certificate.pem";
    key = folder_ / "key.pem";
  }
  ~certificate_files() { std::filesystem::remove_all(folder_); }

  // Signed by itself. `names` as in subjectAltName: "DNS:localhost,IP:127.0.0.1"; empty: none.
  void write(const std::string& common_name, const std::string& names = {}) {
    EVP_PKEY* pair = EVP_EC_gen("P-256");
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, pair);
    auto* const name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, name);
    if (!names.empty()) {
      X509_EXTENSION* const more = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
      X509_add_ext(made, more, -1);
      X509_EXTENSION_free(more);
    }
    X509_sign(made, pair, EVP_sha256());
    std::FILE* file = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(file, made);
    std::fclose(file);
    file = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(made);
    EVP_PKEY_free(pair);
  }

  std::filesystem::path certificate;
  std::filesystem::path key;

 private:
  std::filesystem::path folder_;
};

} // namespace mooring::net::test

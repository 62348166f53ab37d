import HummingbirdCore

#if TLS
  import HummingbirdTLS
  import NIOSSL

  extension HTTPServerBuilder {
    /// - Throws: ``ServeError`` naming the file that cannot be used.
    func encrypted(by files: CertificateFiles) throws -> HTTPServerBuilder {
      try .tls(self, tlsConfiguration: TLSConfiguration(files))
    }
  }

  extension TLSConfiguration {
    /// A server's configuration from PEM files.
    ///
    /// - Throws: ``ServeError`` naming the file that cannot be used.
    fileprivate init(_ files: CertificateFiles) throws(ServeError) {
      func failed(_ what: String, _ path: String, _ error: any Error) -> ServeError {
        ServeError(host: "", port: 0, problem: .certificates("the \(what) in \(path) cannot be read (\(error))"))
      }
      let chain: [NIOSSLCertificateSource]
      do { chain = try NIOSSLCertificate.fromPEMFile(files.certificateChain).map { .certificate($0) } } catch {
        throw failed("certificate chain", files.certificateChain, error)
      }
      let key: NIOSSLPrivateKeySource
      do { key = .privateKey(try NIOSSLPrivateKey(file: files.privateKey, format: .pem)) } catch {
        throw failed("private key", files.privateKey, error)
      }
      self = .makeServerConfiguration(certificateChain: chain, privateKey: key)
    }
  }
#else
  extension HTTPServerBuilder {
    /// - Throws: ``ServeError``: this build has no TLS.
    func encrypted(by files: CertificateFiles) throws(ServeError) -> HTTPServerBuilder {
      throw ServeError(host: "", port: 0, problem: .withoutTLS)
    }
  }
#endif

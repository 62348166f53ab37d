import Commands

await CommandRunner.main(ConvertCommand.self)
